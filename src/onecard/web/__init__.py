"""What people see: self-care for subscribers, and the console for staff. Server-rendered."""
