"""What the book's pages are drawn with and checked by."""
