//! L1: integers to bits and back.
