"""Tests of the API over real HTTP with real databases."""
