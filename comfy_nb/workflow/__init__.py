"""Workflows in ComfyUI's API format: read, edited by name, and planned. Nothing here opens a connection."""

from comfy_nb.workflow.graph import Node, Workflow
from comfy_nb.workflow.plan import Plan, PlanNode, make_plan
from comfy_nb.workflow.values import RANDOM, Link

__all__ = ["RANDOM", "Link", "Node", "Plan", "PlanNode", "Workflow", "make_plan"]
