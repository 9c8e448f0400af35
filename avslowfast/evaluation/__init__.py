"""One evaluation loop, the data sets' protocols and metrics, result files."""
