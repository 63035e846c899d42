-- The sandbox's own database, version 1. Loaded at every start; every statement may run again.
-- `doc` columns hold what the API takes and gives as it is; a column of its own is what is searched, counted or locked.

CREATE TABLE IF NOT EXISTS setting (
  name text PRIMARY KEY,
  value jsonb NOT NULL
);

CREATE TABLE IF NOT EXISTS customer (
  id text PRIMARY KEY,
  source_id text UNIQUE,
  email text GENERATED ALWAYS AS (doc ->> 'email') STORED,
  doc jsonb NOT NULL,
  created_at timestamptz NOT NULL,
  updated_at timestamptz
);
CREATE INDEX IF NOT EXISTS customer_email ON customer (email);
CREATE INDEX IF NOT EXISTS customer_created ON customer (created_at, id);

CREATE TABLE IF NOT EXISTS campaign (
  id text PRIMARY KEY,
  name text NOT NULL UNIQUE,
  campaign_type text NOT NULL,
  active boolean NOT NULL,
  doc jsonb NOT NULL,
  created_at timestamptz NOT NULL,
  updated_at timestamptz
);

CREATE TABLE IF NOT EXISTS voucher (
  id text PRIMARY KEY,
  code text NOT NULL UNIQUE,
  campaign_id text REFERENCES campaign ON DELETE CASCADE, -- none: a code that stands alone
  type text NOT NULL,
  active boolean NOT NULL DEFAULT true,
  holder_id text REFERENCES customer ON DELETE SET NULL,
  doc jsonb NOT NULL,
  initial_points bigint NOT NULL DEFAULT 0,
  initial_credits bigint NOT NULL DEFAULT 0,
  quantity integer,
  redeemed_quantity integer NOT NULL DEFAULT 0 CHECK (redeemed_quantity >= 0),
  publish_count integer NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL,
  updated_at timestamptz,
  CONSTRAINT redeemed_within_quantity CHECK (quantity IS NULL OR redeemed_quantity <= quantity)
);
CREATE INDEX IF NOT EXISTS voucher_of_holder ON voucher (holder_id, campaign_id);
CREATE INDEX IF NOT EXISTS voucher_free ON voucher (campaign_id) WHERE publish_count = 0 AND active;
CREATE INDEX IF NOT EXISTS voucher_of_campaign ON voucher (campaign_id, created_at, id);
-- One card per customer and loyalty campaign, whatever the requests race for.
CREATE UNIQUE INDEX IF NOT EXISTS one_card_per_customer ON voucher (campaign_id, holder_id) WHERE type = 'LOYALTY_CARD';

-- The ledger: a card's balance is its initial points and the sum of these, nothing else.
CREATE TABLE IF NOT EXISTS point_transaction (
  seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id text NOT NULL UNIQUE,
  voucher_id text NOT NULL REFERENCES voucher ON DELETE CASCADE,
  campaign_id text NOT NULL,
  type text NOT NULL,
  points bigint NOT NULL,
  source text,
  source_id text,
  reason text,
  details jsonb NOT NULL,
  related_id text,
  taken jsonb,
  created_at timestamptz NOT NULL
);
-- `taken` says from which buckets points were spent, so that a refund can put them back.
CREATE INDEX IF NOT EXISTS point_transaction_of_card ON point_transaction (voucher_id, seq) INCLUDE (type, points);

-- A card's points by the last day on which they can be used (infinity: no such day). They sum up to its balance.
CREATE TABLE IF NOT EXISTS point_bucket (
  id text PRIMARY KEY,
  voucher_id text NOT NULL REFERENCES voucher ON DELETE CASCADE,
  campaign_id text NOT NULL,
  points bigint NOT NULL CHECK (points >= 0),
  expires_at date NOT NULL,
  created_at timestamptz NOT NULL,
  updated_at timestamptz,
  UNIQUE (voucher_id, expires_at)
);
-- Not by `points`: an index that names them would be written anew with every movement.
CREATE INDEX IF NOT EXISTS point_bucket_due ON point_bucket (expires_at) WHERE expires_at < 'infinity';

-- Points that an order earned and that cannot be used before a day.
CREATE TABLE IF NOT EXISTS pending_points (
  seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id text NOT NULL UNIQUE,
  voucher_id text NOT NULL REFERENCES voucher ON DELETE CASCADE,
  campaign_id text NOT NULL,
  customer_id text,
  order_id text,
  earning_rule_id text,
  points bigint NOT NULL CHECK (points > 0),
  activates_at date NOT NULL,
  state text NOT NULL DEFAULT 'PENDING',
  details jsonb NOT NULL,
  created_at timestamptz NOT NULL,
  updated_at timestamptz
);
CREATE INDEX IF NOT EXISTS pending_points_of_card ON pending_points (voucher_id, seq) WHERE state = 'PENDING';
CREATE INDEX IF NOT EXISTS pending_points_due ON pending_points (activates_at) WHERE state = 'PENDING';

-- Levels of a programme, and in which of them each card's holder is: `tier_id` now, `next_tier_id` from `next_start`.
CREATE TABLE IF NOT EXISTS loyalty_tier (
  id text PRIMARY KEY,
  campaign_id text NOT NULL REFERENCES campaign ON DELETE CASCADE,
  name text NOT NULL,
  from_points bigint NOT NULL,
  to_points bigint,
  doc jsonb NOT NULL,
  created_at timestamptz NOT NULL,
  updated_at timestamptz
);
CREATE INDEX IF NOT EXISTS loyalty_tier_of_campaign ON loyalty_tier (campaign_id, from_points);

CREATE TABLE IF NOT EXISTS member_tier (
  voucher_id text PRIMARY KEY REFERENCES voucher ON DELETE CASCADE,
  campaign_id text NOT NULL,
  tier_id text REFERENCES loyalty_tier ON DELETE CASCADE,
  start_date date,
  expiration_date date,
  next_tier_id text REFERENCES loyalty_tier ON DELETE CASCADE,
  next_start date,
  created_at timestamptz NOT NULL,
  updated_at timestamptz
);
CREATE INDEX IF NOT EXISTS member_tier_ends ON member_tier (expiration_date) WHERE expiration_date IS NOT NULL;
CREATE INDEX IF NOT EXISTS member_tier_begins ON member_tier (next_start) WHERE next_start IS NOT NULL;

-- The ledger of gift cards: a balance is the initial credits and the sum of these, nothing else.
CREATE TABLE IF NOT EXISTS credit_transaction (
  seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id text NOT NULL UNIQUE,
  voucher_id text NOT NULL REFERENCES voucher ON DELETE CASCADE,
  campaign_id text,
  type text NOT NULL,
  amount bigint NOT NULL,
  source text,
  source_id text,
  reason text,
  related_id text,
  details jsonb NOT NULL,
  created_at timestamptz NOT NULL
);
CREATE INDEX IF NOT EXISTS credit_transaction_of_card ON credit_transaction (voucher_id, seq) INCLUDE (type, amount);
CREATE INDEX IF NOT EXISTS credit_transaction_of_campaign ON credit_transaction (campaign_id, seq);

-- What a promotion offers to everybody who qualifies, without a code.
CREATE TABLE IF NOT EXISTS promotion_tier (
  id text PRIMARY KEY,
  campaign_id text NOT NULL REFERENCES campaign ON DELETE CASCADE,
  name text NOT NULL,
  active boolean NOT NULL,
  hierarchy integer NOT NULL,
  doc jsonb NOT NULL,
  created_at timestamptz NOT NULL,
  updated_at timestamptz
);
CREATE INDEX IF NOT EXISTS promotion_tier_of_campaign ON promotion_tier (campaign_id, hierarchy);

-- Uses and credits of codes that a validation locked for the redemption with its key.
CREATE TABLE IF NOT EXISTS session_lock (
  key text NOT NULL,
  voucher_id text NOT NULL REFERENCES voucher ON DELETE CASCADE,
  credits bigint NOT NULL DEFAULT 0,
  expires_at timestamptz NOT NULL,
  PRIMARY KEY (voucher_id, key)
);

-- What the live service does in the background: here it is done when the answer goes out.
CREATE TABLE IF NOT EXISTS async_action (
  id text PRIMARY KEY,
  type text NOT NULL,
  doc jsonb NOT NULL,
  created_at timestamptz NOT NULL
);
CREATE INDEX IF NOT EXISTS async_action_created ON async_action (created_at, id);

CREATE TABLE IF NOT EXISTS earning_rule (
  id text PRIMARY KEY,
  campaign_id text NOT NULL REFERENCES campaign ON DELETE CASCADE,
  event text NOT NULL,
  active boolean NOT NULL,
  doc jsonb NOT NULL,
  created_at timestamptz NOT NULL,
  updated_at timestamptz
);
CREATE INDEX IF NOT EXISTS earning_rule_of_event ON earning_rule (event) WHERE active;

CREATE TABLE IF NOT EXISTS customer_order (
  id text PRIMARY KEY,
  source_id text UNIQUE,
  customer_id text REFERENCES customer ON DELETE SET NULL,
  status text NOT NULL,
  total_amount bigint NOT NULL,
  doc jsonb NOT NULL,
  created_at timestamptz NOT NULL,
  updated_at timestamptz
);
CREATE INDEX IF NOT EXISTS customer_order_of_customer ON customer_order (customer_id, created_at) INCLUDE (status, total_amount);
CREATE INDEX IF NOT EXISTS customer_order_created ON customer_order (created_at, id);

-- Redemptions, failed redemptions and rollbacks, told apart by `object` and `status`.
CREATE TABLE IF NOT EXISTS redemption (
  id text PRIMARY KEY,
  object text NOT NULL,
  status text NOT NULL,
  parent_id text,
  voucher_id text REFERENCES voucher ON DELETE SET NULL,
  promotion_tier_id text,
  campaign_id text,
  customer_id text REFERENCES customer ON DELETE SET NULL,
  order_id text,
  doc jsonb NOT NULL,
  created_at timestamptz NOT NULL
);
CREATE INDEX IF NOT EXISTS redemption_of_customer ON redemption (customer_id, created_at);
CREATE INDEX IF NOT EXISTS redemption_of_voucher ON redemption (voucher_id, created_at) WHERE voucher_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS redemption_of_tier ON redemption (promotion_tier_id) WHERE promotion_tier_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS redemption_of_order ON redemption (order_id);
CREATE INDEX IF NOT EXISTS redemption_of_parent ON redemption (parent_id);
CREATE INDEX IF NOT EXISTS redemption_created ON redemption (created_at, id);

CREATE TABLE IF NOT EXISTS publication (
  id text PRIMARY KEY,
  source_id text UNIQUE,
  customer_id text REFERENCES customer ON DELETE SET NULL,
  campaign_id text,
  voucher_ids text[] NOT NULL,
  doc jsonb NOT NULL,
  created_at timestamptz NOT NULL
);
CREATE INDEX IF NOT EXISTS publication_of_customer ON publication (customer_id, created_at);
CREATE INDEX IF NOT EXISTS publication_of_voucher ON publication USING gin (voucher_ids);

CREATE TABLE IF NOT EXISTS custom_event (
  seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id text NOT NULL,
  customer_id text REFERENCES customer ON DELETE CASCADE,
  type text NOT NULL,
  metadata jsonb NOT NULL,
  created_at timestamptz NOT NULL
);
CREATE INDEX IF NOT EXISTS custom_event_of_customer ON custom_event (customer_id, seq);

-- What points can buy, and at which price in a programme.
-- `stock` is that of a product (none: unlimited), `redeemed` how often it was given.
CREATE TABLE IF NOT EXISTS reward (
  id text PRIMARY KEY,
  name text NOT NULL,
  type text NOT NULL,
  doc jsonb NOT NULL,
  stock bigint CONSTRAINT reward_in_stock CHECK (stock >= 0),
  redeemed bigint NOT NULL DEFAULT 0 CHECK (redeemed >= 0),
  created_at timestamptz NOT NULL,
  updated_at timestamptz
);

-- One without points is to pay orders with.
CREATE TABLE IF NOT EXISTS reward_assignment (
  id text PRIMARY KEY,
  reward_id text NOT NULL REFERENCES reward ON DELETE CASCADE,
  campaign_id text NOT NULL REFERENCES campaign ON DELETE CASCADE,
  points bigint,
  auto_redeem boolean NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL,
  updated_at timestamptz,
  UNIQUE (campaign_id, reward_id)
);

-- What who refers friends gets, at which number of them; and who referred whom, once in a programme.
CREATE TABLE IF NOT EXISTS referral_tier (
  id text PRIMARY KEY,
  campaign_id text NOT NULL REFERENCES campaign ON DELETE CASCADE,
  name text NOT NULL,
  place integer NOT NULL, -- in the order in which they were stated
  doc jsonb NOT NULL,
  created_at timestamptz NOT NULL,
  updated_at timestamptz,
  UNIQUE (campaign_id, name)
);

CREATE TABLE IF NOT EXISTS referral (
  id text PRIMARY KEY,
  campaign_id text NOT NULL REFERENCES campaign ON DELETE CASCADE,
  voucher_id text REFERENCES voucher ON DELETE SET NULL,
  referrer_id text NOT NULL REFERENCES customer ON DELETE CASCADE,
  referee_id text REFERENCES customer ON DELETE SET NULL,
  related_object_id text NOT NULL,
  related_object_type text NOT NULL,
  created_at timestamptz NOT NULL,
  UNIQUE (campaign_id, referee_id)
);
CREATE INDEX IF NOT EXISTS referral_of_referrer ON referral (referrer_id, campaign_id);
CREATE INDEX IF NOT EXISTS referral_of_referee ON referral (referee_id);
CREATE INDEX IF NOT EXISTS referral_of_voucher ON referral (voucher_id);

-- Friends that a referral code is assigned to. Who gives it away is the voucher's own `holder_id`.
CREATE TABLE IF NOT EXISTS redeemable_holder (
  id text PRIMARY KEY,
  voucher_id text NOT NULL REFERENCES voucher ON DELETE CASCADE,
  customer_id text NOT NULL REFERENCES customer ON DELETE CASCADE,
  metadata jsonb NOT NULL,
  created_at timestamptz NOT NULL,
  UNIQUE (voucher_id, customer_id)
);
CREATE INDEX IF NOT EXISTS redeemable_holder_of_customer ON redeemable_holder (customer_id, created_at);
-- A programme has one reward that is bought by itself, whatever the requests race for.
CREATE UNIQUE INDEX IF NOT EXISTS one_auto_redeem ON reward_assignment (campaign_id) WHERE auto_redeem;

-- What a purchase gave, so that a rollback can take it back.
CREATE TABLE IF NOT EXISTS reward_redemption (
  id text PRIMARY KEY,
  redemption_id text NOT NULL UNIQUE REFERENCES redemption ON DELETE CASCADE,
  reward_id text NOT NULL,
  assignment_id text NOT NULL,
  state text NOT NULL,
  voucher_id text REFERENCES voucher ON DELETE SET NULL, -- the coupon or card it gave, or put something on
  published boolean NOT NULL DEFAULT false,
  balance bigint NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL,
  updated_at timestamptz
);

-- Cards whose reward is to be bought by itself at the beginning of a day.
CREATE TABLE IF NOT EXISTS auto_redeem_due (
  voucher_id text PRIMARY KEY REFERENCES voucher ON DELETE CASCADE,
  due date NOT NULL
);
CREATE INDEX IF NOT EXISTS auto_redeem_due_by_day ON auto_redeem_due (due);

-- Who may use what: definitions of rules, and what they are assigned to.
CREATE TABLE IF NOT EXISTS validation_rule (
  id text PRIMARY KEY,
  name text NOT NULL,
  doc jsonb NOT NULL,
  created_at timestamptz NOT NULL,
  updated_at timestamptz
);

CREATE TABLE IF NOT EXISTS validation_rule_assignment (
  id text PRIMARY KEY,
  rule_id text NOT NULL REFERENCES validation_rule ON DELETE CASCADE,
  related_object_type text NOT NULL,
  related_object_id text NOT NULL,
  created_at timestamptz NOT NULL,
  UNIQUE (related_object_type, related_object_id, rule_id)
);
CREATE INDEX IF NOT EXISTS validation_rule_assignment_of_rule ON validation_rule_assignment (rule_id);
-- What counting rules count.
CREATE INDEX IF NOT EXISTS redemption_of_incentive ON redemption ((doc ->> 'related_object_id'));
CREATE INDEX IF NOT EXISTS redemption_of_campaign ON redemption (campaign_id, created_at);

-- Groups of customers: a filter, or (type static) a list.
CREATE TABLE IF NOT EXISTS segment (
  id text PRIMARY KEY,
  name text NOT NULL,
  type text NOT NULL,
  filter jsonb,
  created_at timestamptz NOT NULL,
  updated_at timestamptz
);

-- The members of static segments, and those of active ones whose entering has been told or who were there before.
CREATE TABLE IF NOT EXISTS segment_member (
  segment_id text NOT NULL REFERENCES segment ON DELETE CASCADE,
  customer_id text NOT NULL REFERENCES customer ON DELETE CASCADE,
  PRIMARY KEY (segment_id, customer_id)
);
CREATE INDEX IF NOT EXISTS segment_member_of_customer ON segment_member (customer_id);

-- What happened to each customer, as the API lists it.
CREATE TABLE IF NOT EXISTS activity (
  seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id text NOT NULL UNIQUE,
  customer_id text NOT NULL REFERENCES customer ON DELETE CASCADE,
  type text NOT NULL,
  category text NOT NULL,
  campaign_id text,
  data jsonb NOT NULL,
  group_id text NOT NULL,
  created_at timestamptz NOT NULL
);
CREATE INDEX IF NOT EXISTS activity_of_customer ON activity (customer_id, seq);

CREATE TABLE IF NOT EXISTS product (
  id text PRIMARY KEY,
  source_id text UNIQUE,
  doc jsonb NOT NULL,
  created_at timestamptz NOT NULL,
  updated_at timestamptz
);

CREATE TABLE IF NOT EXISTS sku (
  id text PRIMARY KEY,
  source_id text UNIQUE,
  product_id text NOT NULL REFERENCES product ON DELETE CASCADE,
  doc jsonb NOT NULL,
  created_at timestamptz NOT NULL,
  updated_at timestamptz
);
CREATE INDEX IF NOT EXISTS sku_of_product ON sku (product_id, created_at, id);

CREATE TABLE IF NOT EXISTS product_collection (
  id text PRIMARY KEY,
  name text NOT NULL UNIQUE,
  type text NOT NULL,
  doc jsonb NOT NULL,
  created_at timestamptz NOT NULL,
  updated_at timestamptz
);

-- What the project's settings define: which metadata keys a resource (or a custom event, by its name) may carry.
CREATE TABLE IF NOT EXISTS metadata_schema (
  related_object text NOT NULL,
  name text NOT NULL DEFAULT '',
  doc jsonb NOT NULL,
  PRIMARY KEY (related_object, name)
);

-- Where webhooks go: one project webhook for its events, one distribution for each trigger.
CREATE TABLE IF NOT EXISTS webhook (
  id text PRIMARY KEY,
  object text NOT NULL,
  name text NOT NULL,
  trigger text,
  target_url text NOT NULL,
  active boolean NOT NULL DEFAULT true
);

-- Written in the transaction of the effect it tells about; read by the sender.
CREATE TABLE IF NOT EXISTS delivery (
  seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id text NOT NULL,
  webhook_id text NOT NULL REFERENCES webhook ON DELETE CASCADE,
  lane text NOT NULL,
  event_type text NOT NULL,
  body bytea NOT NULL,
  state text NOT NULL DEFAULT 'WAITING',
  attempts integer NOT NULL DEFAULT 0,
  due_at timestamptz NOT NULL,
  first_attempt_at timestamptz,
  delivered_at timestamptz,
  answer text
);
CREATE INDEX IF NOT EXISTS delivery_waiting ON delivery (seq) WHERE state = 'WAITING';

-- What campaigns are sorted into, for the rules of what goes together in one redemption.
CREATE TABLE IF NOT EXISTS category (
  id text PRIMARY KEY,
  name text NOT NULL,
  hierarchy integer NOT NULL,
  created_at timestamptz NOT NULL,
  updated_at timestamptz
);

-- Promotion tiers that are used together, in this order.
CREATE TABLE IF NOT EXISTS promotion_stack (
  id text PRIMARY KEY,
  campaign_id text NOT NULL REFERENCES campaign ON DELETE CASCADE,
  name text NOT NULL,
  tier_ids text[] NOT NULL,
  category_id text REFERENCES category ON DELETE SET NULL,
  created_at timestamptz NOT NULL,
  updated_at timestamptz
);
CREATE INDEX IF NOT EXISTS promotion_stack_of_campaign ON promotion_stack (campaign_id, created_at);
