"""Write the sample documents into the package."""

from .generate import main

main()
