"""Tables, sessions, repositories and the change feed. The only package that imports sqlalchemy."""
