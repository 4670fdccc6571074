"""The sections of the page, one a file. Each says what its pictures show, or what is missing."""
