"""What is fetched from servers that strangers name, and how long it is believed."""
