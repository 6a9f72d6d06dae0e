-- What became of the order, as the checkout tells it; placed, until it does.
alter table {schema}.orders add column status text not null default 'placed';
-- Why it was not confirmed.
alter table {schema}.orders add column reason text;
