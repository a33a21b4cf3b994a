"""Looking for input that code cannot bear: guided by coverage where there is atheris, at random elsewhere."""
