//! Open-loop load with honest latency.
