"""What pages and exports show of stored things."""
