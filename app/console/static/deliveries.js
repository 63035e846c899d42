// Fields that are empty stay out of the address.
for (const form of document.querySelectorAll("form[data-sparse]")) {
  form.addEventListener("formdata", (event) => {
    for (const [name, value] of [...event.formData]) if (value === "") event.formData.delete(name);
  });
}
