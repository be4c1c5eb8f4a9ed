"""What an evaluation leaves on disk: the folder with all its files, the page, the pictures.

They need matplotlib and plotly, so nothing in ``mmtied.evaluation`` imports them.
"""
