"""A form's template: its fields and rules, and the file that it is written in."""
