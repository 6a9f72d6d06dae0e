//! The project's own proofs live in the test targets beside this file.
