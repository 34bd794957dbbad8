"""Security: penetration tests, scans of dependencies, exposed keys, the OWASP Top 10."""
