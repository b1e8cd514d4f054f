"""The languages inside Arazzo documents: runtime expressions, conditions, selectors."""
