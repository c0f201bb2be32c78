//! A client over UDP: blocking calls, and submit/poll.
