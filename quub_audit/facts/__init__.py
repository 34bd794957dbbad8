"""What connectors answer: frozen values, and the Protocols through which checks ask for them."""
