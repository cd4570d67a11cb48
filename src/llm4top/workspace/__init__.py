"""The workspace: the user's folder, its database, the runs and their queue."""
