"""Pages for people: self-care for subscribers, the console for staff, the public pages. Rendered on the server."""
