-- +goose Up

-- One text for SQLite and PostgreSQL: times are microseconds since 1970 (0:
-- none), booleans 0 or 1, lists JSON. "WITHOUT_ROWID" stands for nothing but
-- on SQLite. There are no foreign keys: the transactions of this package are
-- the only writers, and each removes what hangs on what it removes.

create table account (
  id               text   not null primary key,
  name             text   not null,
  -- The head of the account's event log; see takePosition.
  seq              bigint not null,
  receipt_deadline bigint not null, -- microseconds; 0: the server's own
  created_at       bigint not null
) /* WITHOUT_ROWID */;

create table pod (
  id         text   not null primary key,
  account_id text   not null,
  client_id  text   not null, -- '': none
  name       text   not null,
  is_default bigint not null, -- 1 for one pod of each account
  created_at bigint not null
) /* WITHOUT_ROWID */;
create index pod_of_account on pod (account_id, is_default, id);
create unique index pod_by_client_id on pod (account_id, client_id) where client_id <> '';

create table api_key (
  id           text   not null primary key,
  account_id   text   not null,
  pod_id       text   not null, -- '': the whole account
  inbox_id     text   not null, -- '': the whole pod, or account
  name         text   not null,
  hash         bytea  not null unique, -- SHA-256; the key itself is nowhere
  prefix       text   not null,
  last4        text   not null,
  created_at   bigint not null,
  last_used_at bigint not null,
  revoked_at   bigint not null
) /* WITHOUT_ROWID */;
create index api_key_of_owner on api_key (account_id, pod_id, inbox_id);
create index api_key_revoked on api_key (revoked_at) where revoked_at > 0;

create table inbox (
  id           text   not null primary key,
  account_id   text   not null,
  pod_id       text   not null, -- for good
  domain_id    text   not null, -- the account's own that it is on; '': it is on the server's
  address      text   not null unique,
  display_name text   not null,
  external_id  text   not null,
  created_at   bigint not null
) /* WITHOUT_ROWID */;
create index inbox_of_account on inbox (account_id, id);
create index inbox_of_pod on inbox (account_id, pod_id, id);
create index inbox_of_domain on inbox (domain_id, pod_id) where domain_id <> '';

-- The mail domains that accounts have brought. Two accounts may have the same
-- name, until one has proved that it is its own.
create table mail_domain (
  id          text   not null primary key,
  account_id  text   not null,
  pod_id      text   not null, -- '': every pod's
  name        text   not null,
  token       text   not null,
  status      text   not null,
  reason      text   not null,
  checks      text   not null,
  receives    bigint not null,
  tries       bigint not null,
  version     bigint not null,
  created_at  bigint not null,
  verified_at bigint not null,
  checked_at  bigint not null,
  due_at      bigint not null
) /* WITHOUT_ROWID */;
create unique index mail_domain_of_account on mail_domain (account_id, name);
create unique index mail_domain_verified on mail_domain (name) where verified_at > 0;
create index mail_domain_of_pod on mail_domain (pod_id) where pod_id <> '';
create index mail_domain_due on mail_domain (due_at) where due_at > 0;

create table thread (
  id              text   not null primary key,
  account_id      text   not null,
  inbox_id        text   not null,
  subject         text   not null,
  is_read         bigint not null,
  message_count   bigint not null,
  last_message_at bigint not null,
  created_at      bigint not null,
  joined_to       text   not null, -- the thread that took it in; '': it stands for itself
  trashed_at      bigint not null
) /* WITHOUT_ROWID */;
create index thread_of_inbox on thread (inbox_id, account_id, last_message_at, id, is_read) where joined_to = '' and trashed_at = 0;
create index thread_hidden on thread (inbox_id) where joined_to <> '' or trashed_at > 0;
create index thread_joined on thread (joined_to) where joined_to <> '';
create index thread_trashed on thread (trashed_at) where trashed_at > 0;

create table message (
  id             text   not null primary key,
  account_id     text   not null,
  inbox_id       text   not null,
  thread_id      text   not null,
  event_id       text   not null, -- '': none
  direction      text   not null,
  status         text   not null,
  from_name      text   not null,
  from_addr      text   not null,
  to_addr        text   not null,
  header_to      text   not null,
  delivery_role  text   not null,
  cc             text   not null,
  subject        text   not null,
  rfc_message_id text   not null, -- 'sha256:…' where the mail had none
  in_reply_to    text   not null,
  refs           text   not null,
  attachments    text   not null,
  defects        text   not null,
  hidden_text    bigint not null,
  partial        bigint not null,
  category       text   not null, -- '': outbound
  auto_replyable bigint not null,
  mail_from      text   not null,
  rcpt_to        text   not null,
  envelope_role  text   not null,
  remote_ip      text   not null,
  helo           text   not null,
  tls            bigint not null,
  digest         bytea  not null, -- SHA-256 of the raw mail
  size_bytes     bigint not null,
  text_size      bigint not null,
  html_size      bigint not null,
  blob           text   not null, -- where the body stands when it is large; '': in body
  created_at     bigint not null,
  trashed_at     bigint not null,
  -- zstd of text, HTML and raw mail, one after the other. It is the last column:
  -- SQLite reads a row's overflow pages to come to what stands behind it.
  body           bytea
);
-- With the size, so that what an inbox takes up is added up from the index alone.
create index message_of_inbox on message (inbox_id, account_id, id, size_bytes) where trashed_at = 0;
create index message_of_thread on message (thread_id, id);
create index message_by_rfc_id on message (inbox_id, rfc_message_id);
create index message_return_path on message (inbox_id, mail_from) where direction = 'outbound';
create index message_age on message (created_at);
create index message_blob on message (blob) where blob <> '';

-- Message ids that a thread refers to and that have not come in yet.
create table mention (
  inbox_id       text not null,
  rfc_message_id text not null,
  thread_id      text not null,
  primary key (inbox_id, rfc_message_id, thread_id)
) /* WITHOUT_ROWID */;
create index mention_of_thread on mention (thread_id);

-- What was read out of the files of messages; how, and how much, stands with the
-- files in message.attachments. A table of its own keeps lists light.
create table attachment_text (
  message_id text   not null,
  n          bigint not null, -- the file's place in message.attachments
  body       bytea  not null, -- zstd
  primary key (message_id, n)
);

create table quarantine (
  id         text   not null primary key,
  account_id text   not null,
  inbox_id   text   not null,
  from_name  text   not null,
  from_addr  text   not null,
  subject    text   not null,
  reason     text   not null,
  rule_id    text   not null,
  mail_from  text   not null,
  rcpt_to    text   not null,
  remote_ip  text   not null,
  helo       text   not null,
  tls        bigint not null,
  digest     bytea  not null,
  size_bytes bigint not null,
  blob       text   not null,
  created_at bigint not null,
  expires_at bigint not null,
  body       bytea
);
create unique index quarantine_once on quarantine (inbox_id, digest);
create index quarantine_of_account on quarantine (account_id, id);
create index quarantine_expiry on quarantine (expires_at);
create index quarantine_blob on quarantine (blob) where blob <> '';

-- What an inbox received and sent in a day of UTC. It outlives the messages and
-- the inbox.
create table usage_day (
  account_id       text   not null,
  day              bigint not null, -- when it began
  inbox_id         text   not null,
  address          text   not null,
  inbound          bigint not null, -- messages
  outbound         bigint not null,
  attachment_bytes bigint not null, -- of both
  primary key (account_id, day, inbox_id)
) /* WITHOUT_ROWID */;
create index usage_day_age on usage_day (day);

-- What users say about the product.
create table feedback (
  id         text   not null primary key,
  account_id text   not null,
  pod_id     text   not null, -- of the key that said it; '': the whole account
  inbox_id   text   not null, -- likewise
  key_id     text   not null,
  type       text   not null,
  message    text   not null,
  endpoint   text   not null, -- '': nothing in particular, as the next two
  error_code text   not null,
  request_id text   not null,
  created_at bigint not null
) /* WITHOUT_ROWID */;
create index feedback_of_account on feedback (account_id, id);
create index feedback_age on feedback (created_at);

-- Policies: with whom mail may be exchanged. A level is an account, a pod or an
-- inbox. It has a row here for each direction in which it says anything: one
-- without a row has no rules.
create table policy (
  level_id   text   not null,
  direction  text   not null,
  account_id text   not null,
  mode       text   not null,
  by_account bigint not null, -- 1: a key of the whole account set the mode
  primary key (level_id, direction)
) /* WITHOUT_ROWID */;

create table rule (
  id         text   not null primary key,
  account_id text   not null,
  pod_id     text   not null, -- '': the account's
  inbox_id   text   not null, -- '': the account's or the pod's
  level_id   text   not null, -- the narrowest of these three
  direction  text   not null,
  type       text   not null,
  value      text   not null,
  by_account bigint not null,
  created_at bigint not null
) /* WITHOUT_ROWID */;
create unique index rule_once on rule (level_id, direction, value, type);

-- What was changed of policies, and what they refused. Refusals are many, and
-- strangers choose how many: those of one inbox, one way, one address, one
-- reason and one hour are one row, which counts them.
create table policy_record (
  id         text   not null primary key,
  account_id text   not null,
  pod_id     text   not null,
  inbox_id   text   not null,
  action     text   not null,
  direction  text   not null,
  key_id     text   not null,
  rule_id    text   not null,
  hour       bigint not null, -- of a refusal: when it began; 0: a change
  address    text   not null,
  reason     text   not null,
  times      bigint not null,
  detail     text   not null, -- JSON
  created_at bigint not null
) /* WITHOUT_ROWID */;
create unique index policy_record_once on policy_record (inbox_id, direction, hour, address, reason) where hour > 0;
create index policy_record_of_account on policy_record (account_id, action, direction, id);
create index policy_record_of_pod on policy_record (pod_id, action, direction, id) where pod_id <> '';
create index policy_record_of_inbox on policy_record (inbox_id, action, direction, id) where inbox_id <> '';
create index policy_record_age on policy_record (created_at);

create table endpoint (
  id              text   not null primary key,
  account_id      text   not null,
  inbox_id        text   not null, -- '': the account's
  url             text   not null,
  secret          bytea  not null, -- sealed with the file key
  next_secret     bytea  not null, -- sealed; empty: no rotation under way
  enabled         bigint not null,
  disabled_reason text   not null,
  created_at      bigint not null
) /* WITHOUT_ROWID */;
create unique index endpoint_of on endpoint (account_id, inbox_id);

-- The log: an event and the state of its delivery are one row, so that neither
-- is ever there without the other.
create table event (
  account_id   text   not null,
  seq          bigint not null,
  id           text   not null,
  type         text   not null,
  pod_id       text   not null, -- that of the inbox: a pod reads its own stretch of the log
  inbox_id     text   not null,
  thread_id    text   not null,
  message_id   text   not null,
  occurred_at  bigint not null,
  lane         text   not null, -- the inbox whose own endpoint it goes to; '': the account's
  state        text   not null,
  reason       text   not null,
  channel      text   not null,
  attempts     bigint not null,
  posts        bigint not null,
  due_at       bigint not null,
  delivered_at bigint not null,
  primary key (account_id, seq)
) /* WITHOUT_ROWID */;
create unique index event_by_id on event (id);
create index event_of_pod on event (pod_id, seq);
create index event_waiting on event (account_id, lane, state, due_at) where due_at > 0;
create index event_age on event (occurred_at);
create index event_lifecycle on event (account_id, message_id, lane, state, due_at) where due_at > 0 and message_id = '';

-- Where events stood in the log that went with their messages, for as long as
-- they would have been kept.
create table event_gone (
  id          text   not null primary key,
  account_id  text   not null,
  seq         bigint not null,
  pod_id      text   not null,
  inbox_id    text   not null,
  occurred_at bigint not null
) /* WITHOUT_ROWID */;
create index event_gone_age on event_gone (occurred_at);

create table attempt (
  event_id text   not null,
  at       bigint not null,
  n        bigint not null,
  channel  text   not null,
  took     bigint not null,
  status   bigint not null,
  outcome  text   not null,
  error    text   not null,
  remote   text   not null,
  response text   not null,
  primary key (event_id, at, n, channel, remote)
) /* WITHOUT_ROWID */;

-- Sending.

-- A recipient of an outbound message and its place in the queue. due_at is when
-- something is to be done: an attempt while it is pending, a report to the
-- sender once it has failed; 0: nothing, or not before there is a way out.
create table mail_delivery (
  message_id text   not null,
  n          bigint not null, -- 0: the To
  recipient  text   not null,
  domain     text   not null,
  state      text   not null,
  attempts   bigint not null,
  began_at   bigint not null, -- from when patience counts
  due_at     bigint not null,
  leased     bigint not null, -- 1: somebody is at it until due_at
  last_at    bigint not null,
  code       bigint not null,
  enhanced   text   not null,
  answer     text   not null,
  server     text   not null,
  tls        text   not null,
  primary key (message_id, n)
) /* WITHOUT_ROWID */;
create index mail_delivery_due on mail_delivery (domain, due_at) where due_at > 0;
create index mail_delivery_leased on mail_delivery (message_id, n) where leased = 1;
create index mail_delivery_held on mail_delivery (message_id, n) where due_at = 0 and state = 'pending';

-- A domain with something due, and the earliest of those times: what waits is
-- found without looking at all of it.
create table mail_lane (
  domain text   not null primary key,
  due_at bigint not null
) /* WITHOUT_ROWID */;
create index mail_lane_due on mail_lane (due_at);

-- What was accepted under an idempotency key.
create table send_key (
  account_id      text   not null,
  idempotency_key text   not null,
  hash            bytea  not null, -- SHA-256 of the request
  message_id      text   not null,
  thread_id       text   not null,
  inbox_id        text   not null,
  rfc_message_id  text   not null,
  created_at      bigint not null,
  primary key (account_id, idempotency_key)
) /* WITHOUT_ROWID */;
create index send_key_age on send_key (created_at);

create table suppression (
  account_id text   not null,
  address    text   not null,
  type       text   not null,
  reason     text   not null,
  created_at bigint not null,
  primary key (account_id, address)
) /* WITHOUT_ROWID */;
create index suppression_of_account on suppression (account_id, created_at);

-- With whom an inbox has exchanged mail, where first contacts are limited.
create table contact (
  inbox_id text not null,
  address  text not null, -- in lower case
  primary key (inbox_id, address)
) /* WITHOUT_ROWID */;

-- How far the messages of an inbox were read for its contacts.
create table acquaintance (
  inbox_id text   not null primary key,
  upto     bigint not null -- when the newest of them was made
) /* WITHOUT_ROWID */;

-- Who may not send: an inbox, a pod with all of its inboxes, or an account.
create table suspension (
  subject    text   not null primary key, -- the id
  kind       text   not null,
  account_id text   not null,
  reason     text   not null,
  since_at   bigint not null
) /* WITHOUT_ROWID */;
create index suspension_age on suspension (since_at);

-- What the events say that have no message.
create table lifecycle (
  event_id      text not null primary key,
  inbox_address text not null, -- '': it concerns a pod
  reason        text not null  -- '': a suspension has ended
) /* WITHOUT_ROWID */;

-- What signs the mail of a domain. All keys of a domain are put together.
create table dkim_key (
  domain      text   not null,
  selector    text   not null,
  algorithm   text   not null,
  private_key bytea  not null, -- PKCS #8, sealed with the file key
  created_at  bigint not null,
  primary key (domain, selector)
) /* WITHOUT_ROWID */;

-- How often something was done since start_at, by quota and whose it is.
create table tally (
  name     text   not null,
  subject  text   not null,
  start_at bigint not null,
  n        bigint not null,
  primary key (name, subject, start_at)
) /* WITHOUT_ROWID */;
create index tally_age on tally (start_at);

-- +goose Down

drop table tally;
drop table dkim_key;
drop table lifecycle;
drop table acquaintance;
drop table contact;
drop table suspension;
drop table suppression;
drop table send_key;
drop table mail_lane;
drop table mail_delivery;
drop table attempt;
drop table event_gone;
drop table event;
drop table endpoint;
drop table usage_day;
drop table feedback;
drop table policy_record;
drop table rule;
drop table policy;
drop table quarantine;
drop table attachment_text;
drop table mention;
drop table message;
drop table thread;
drop table mail_domain;
drop table inbox;
drop table api_key;
drop table pod;
drop table account;
