"""Retrieved documents as Blockstitch documents. One module for each framework; each needs that framework only."""
