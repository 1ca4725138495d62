"""overhang"""
