"""The figures, one module each: a function that makes the sites and names the contenders."""
