"""The demo: two organizations that show what the product does, and live calls between them."""
