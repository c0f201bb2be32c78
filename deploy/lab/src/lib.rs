//! Clusters on one machine: namespaces, processes, faults.
