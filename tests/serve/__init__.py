"""The real application, driven through the real client; its shared server ends with the last of these."""
