"""What a study keeps on disk: manifest, design, folders; and how it goes on from there."""
