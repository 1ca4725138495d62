"""canister"""
