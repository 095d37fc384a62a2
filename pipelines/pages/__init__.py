"""How every page is built and looks: markup that escapes, style, addresses, and documents."""
