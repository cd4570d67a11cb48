"""Request checks, security headers, sign-in and error pages."""
