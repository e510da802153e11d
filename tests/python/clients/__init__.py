"""The clients, each in the form that `check` describes, and each with the document that it asks with."""
