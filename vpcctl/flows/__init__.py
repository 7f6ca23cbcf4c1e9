"""The flow language: fields, matches, actions, flows, cookies and tables. Pure."""
