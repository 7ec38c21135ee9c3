//! Attempts at what a cage forbids, to see that it does.
