"""What people see: predictions on their own videos."""
