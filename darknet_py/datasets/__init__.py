"""What networks are trained and measured on: .data files, lists of images, and the class of each image."""
