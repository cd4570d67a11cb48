"""LoRA fine-tuning through the answer head."""
