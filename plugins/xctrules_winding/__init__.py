"""winding"""
