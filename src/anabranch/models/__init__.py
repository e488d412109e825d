"""The published systems, one short recipe each."""

from anabranch.models.autoencoders.autoencoder import autoencoder as autoencoder
from anabranch.models.autoencoders.code_generator import CodeGenerator as CodeGenerator
from anabranch.models.autoencoders.code_generator import vine_autoencoder as vine_autoencoder
from anabranch.models.autoencoders.dec import dec as dec
from anabranch.models.autoencoders.flow_vae import (
    FlowVariationalAutoencoder as FlowVariationalAutoencoder,
)
from anabranch.models.autoencoders.flow_vae import flow_vae as flow_vae
from anabranch.models.autoencoders.gmgan import gmgan as gmgan
from anabranch.models.autoencoders.gmvae import gmvae as gmvae
from anabranch.models.autoencoders.label_scores import label_log_prob as label_log_prob
from anabranch.models.autoencoders.ltvae import ltvae as ltvae
from anabranch.models.autoencoders.mixae import mixae as mixae
from anabranch.models.autoencoders.nvisa import GaussianMixtureVAE as GaussianMixtureVAE
from anabranch.models.autoencoders.nvisa import nvisa as nvisa
from anabranch.models.autoencoders.pixel_autoencoder import pixel_autoencoder as pixel_autoencoder
from anabranch.models.autoencoders.svae import svae as svae
from anabranch.models.autoencoders.vade import vade as vade
from anabranch.models.autoencoders.vae import vae as vae
from anabranch.models.conditional.binary_density import binary_density as binary_density
from anabranch.models.conditional.cinn import cinn as cinn
from anabranch.models.conditional.conditional_glow import conditional_glow as conditional_glow
from anabranch.models.conditional.independent_pixels import independent_pixels as independent_pixels
from anabranch.models.conditional.inn import inn as inn
from anabranch.models.conditional.tzk import TzK as TzK
from anabranch.models.conditional.tzk import tzk as tzk
from anabranch.models.conditional.videoflow import VideoFlow as VideoFlow
from anabranch.models.conditional.videoflow import videoflow as videoflow
from anabranch.models.densities.deep_density import deep_density as deep_density
from anabranch.models.densities.flow_density import flow_density as flow_density
from anabranch.models.densities.made import made as made
from anabranch.models.densities.nade import nade as nade
from anabranch.models.densities.product_density import product_density as product_density
from anabranch.models.densities.rnade import rnade as rnade
from anabranch.models.densities.sic import sic as sic
from anabranch.models.densities.vine import vine as vine
from anabranch.models.flows.bnaf import bnaf as bnaf
from anabranch.models.flows.cnf import cnf as cnf
from anabranch.models.flows.copula_flow import copula_flow as copula_flow
from anabranch.models.flows.discrete_flow import discrete_flow as discrete_flow
from anabranch.models.flows.gaussianization import gaussianization as gaussianization
from anabranch.models.flows.iaf import iaf as iaf
from anabranch.models.flows.maf import maf as maf
from anabranch.models.flows.naf import naf as naf
from anabranch.models.flows.nice import nice as nice
from anabranch.models.flows.nsf import nsf as nsf
from anabranch.models.flows.planar import planar as planar
from anabranch.models.flows.radial import radial as radial
from anabranch.models.flows.realnvp import realnvp as realnvp
from anabranch.models.flows.residual_flow import residual_flow as residual_flow
from anabranch.models.flows.tabak_turner import tabak_turner as tabak_turner
from anabranch.models.flows.tarflow import tarflow as tarflow
from anabranch.models.images.conv_realnvp import conv_realnvp as conv_realnvp
from anabranch.models.images.diagonal_bilstm import diagonal_bilstm as diagonal_bilstm
from anabranch.models.images.flowpp import flowpp as flowpp
from anabranch.models.images.gated_pixelcnn import gated_pixelcnn as gated_pixelcnn
from anabranch.models.images.glow import glow as glow
from anabranch.models.images.image_density import image_density as image_density
from anabranch.models.images.local_context import local_context as local_context
from anabranch.models.images.local_context_mixture import (
    local_context_mixture as local_context_mixture,
)
from anabranch.models.images.pixelcnn import pixelcnn as pixelcnn
from anabranch.models.images.realnvp_images import realnvp_images as realnvp_images
from anabranch.models.images.row_lstm import row_lstm as row_lstm
from anabranch.models.manifolds.product_flow import product_flow as product_flow
from anabranch.models.manifolds.sphere_flow import exponential_map_flow as exponential_map_flow
from anabranch.models.manifolds.sphere_flow import sphere_flow as sphere_flow
from anabranch.models.manifolds.torus_flow import torus_flow as torus_flow
from anabranch.models.mixtures.flow_mixture import MixtureModel as MixtureModel
from anabranch.models.mixtures.flow_mixture import flow_mixture as flow_mixture
from anabranch.models.mixtures.pruning import keep_components as keep_components
from anabranch.models.mixtures.rad import rad as rad
from anabranch.models.registry import build as build
from anabranch.models.registry import list_recipes as list_recipes
from anabranch.models.registry import recipe as recipe
