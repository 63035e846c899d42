# One image for web, worker, sandbox and the one-shot commands; docker-compose.yml says which runs where.
# Two stages, so that pip's leftovers stay out of what is shipped.
FROM python:3.11-slim AS packages
WORKDIR /loyalty
COPY requirements.lock .
RUN python -m venv /venv && /venv/bin/python -m pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.lock

FROM python:3.11-slim
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 DATA_DIR=/data
# The folder is made before it becomes a volume, so that the volume belongs to the user who writes to it.
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin loyalty && mkdir /data && chown loyalty /data
COPY --from=packages /venv /venv
WORKDIR /loyalty
COPY . .
USER loyalty
VOLUME /data
CMD ["python", "-m", "app.main"]
