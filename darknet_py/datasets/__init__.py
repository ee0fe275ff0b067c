"""What a network is measured on: .data files, lists of images, and which class each image is of."""
