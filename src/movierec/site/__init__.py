"""The client of the site's HTTP API of movies and users."""
