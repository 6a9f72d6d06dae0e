//! Every adapter passes the suite of its port.

mod stores;
