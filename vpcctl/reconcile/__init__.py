"""Differences between flow sets and the ordered plan that puts them right. Pure."""
