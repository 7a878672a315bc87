"""Tables, reports and pictures of the forms that were read."""
