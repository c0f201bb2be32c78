//! cluster.ron: read, checked, shown.
