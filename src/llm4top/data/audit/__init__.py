"""The leak audit: does a data set give its labels away?"""
