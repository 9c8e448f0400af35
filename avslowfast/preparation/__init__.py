"""From downloaded folders to prepared videos and list files."""
