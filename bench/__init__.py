"""What a request costs: `./app bench` measures servers side by side on a stack of its own."""
